"""The bundled starter model: its recipe from rendered audio to bundle (`make starter`)."""
