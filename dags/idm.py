from airflow_provider_idm import generate_dags

generate_dags("conf")
