"""Reading documents (PDF, DOCX, HTML, Markdown, text) in a bounded child process, since a document may be hostile."""
