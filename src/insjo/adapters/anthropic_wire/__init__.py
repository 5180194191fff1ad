"""Servers elsewhere that speak Anthropic's Messages wire, asked in the form of chat completions or in their own."""
