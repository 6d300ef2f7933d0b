"""The commands of ``idm``, one module each; a module imports what it runs only when it runs."""
