"""The dashboard: screens and widgets over the control API. It knows ``client`` and ``model``, no more."""
