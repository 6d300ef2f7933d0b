"""What the provider adds to Airflow's user interface: pages about batches and synchronizations, and links to them.

The pages read what tasks told as XComs, in Airflow's own database; neither the repository nor the exchange is reached
from there.
"""
