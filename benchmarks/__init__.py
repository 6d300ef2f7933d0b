"""How long prepare and synchronize take: lifelike data of any size, and a run through every mode."""
