"""Messages as bytes: headers, structure, envelope, with limits. Pure; knows no protocol but the octets it renders."""
