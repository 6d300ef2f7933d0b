"""What tasks tell Airflow, and those who listen to it, of what they did: counts and names, never values."""
