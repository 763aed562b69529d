"""Settings for development."""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "for development only"
# Allows the names of this machine, 127.0.0.1 and [::1] among them, on any port.
DEBUG = True
ALLOWED_HOSTS: list[str] = []

INSTALLED_APPS = ["books"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
]
ROOT_URLCONF = "mysite.urls"
ASGI_APPLICATION = "mysite.asgi.application"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
USE_TZ = True

# Where the FastAPI service is; `manage.py check` must work without it, too.
REVIEWS_URL = os.environ.get("REVIEWS_URL", "")
