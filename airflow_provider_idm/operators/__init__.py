"""Airflow operators of the provider: one per task of the XML configuration."""
