"""The assets of Airflow that stand for what is synchronized."""
