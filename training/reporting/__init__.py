"""Tables, figures, READMEs and the page. Never imports MXNet."""
