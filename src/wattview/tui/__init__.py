"""The dashboard: screens and widgets over the control API. It imports ``client``, ``fleet`` and ``model``, no more."""
