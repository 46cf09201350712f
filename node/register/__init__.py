"""Writing from the side of what runs: what waits is grouped before the registrar sees it."""
