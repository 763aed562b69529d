"""A Django project without a database."""
