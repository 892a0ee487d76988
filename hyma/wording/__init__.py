"""How figures and tables read: markdown, aligned text, numbers with units. Touched when words change."""
