"""LDAP directories: Active Directory, OpenLDAP and others become source files.

``exporter.py`` is the exporter. What to ask for comes from the mappings (``tables.py``), where to ask from the settings
(``ldap_settings.py``); ``client.py`` asks, and is the only one that needs the library.
"""
