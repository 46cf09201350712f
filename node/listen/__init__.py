"""The doors: they turn bytes into a question or request, and an answer or outcomes into bytes. They hold no opinion."""
