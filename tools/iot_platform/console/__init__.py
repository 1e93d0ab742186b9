"""The console: a page and a JSON API to use the platform by, and the same as commands.

    surface    what of the platform it uses
    api        requests without HTTP; the modules called `.._requests` do what they ask
    guard      who may ask: Host, Origin, token, content type
    server     aiohttp: the API, the live stream, the page
    pages      the page itself: HTML, CSS, modules
    client     the API of a running platform, or of its database when none runs
    command    `python -m tools.iot_platform device add ...`

docs/console.md describes the API.
"""
