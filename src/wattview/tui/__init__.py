"""The dashboard: screens and widgets over the control API. It knows ``client``, ``fleet`` and ``model``, no more."""
