"""The HTTPS port: pages by which users sign in, let programs in, enrol and take back what they granted; and the
authorization server (oauth/). Pages work without scripts, load nothing from elsewhere, and keep to one origin.

    connection   one HTTP connection over TLS: limits, deadlines, the peer's certificate (uvicorn's protocol, mended)
    server       the connections of one worker; `factory` goes to `loop.create_server`
    app          routes, and what is done around each request: host, language, headers, failures, log
    visitor      who asks: browser cookie, signed-in principal, language, form tokens
    form         bounded bodies
    pages        templates; words in French and English
    replies      what a page says to each refusal of the domain
"""
