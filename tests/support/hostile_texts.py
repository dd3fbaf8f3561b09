"""Texts that attack a terminal, a page, a spreadsheet or an XML reader."""

PAYLOADS = (
    "\x1b[31mred\x1b]0;owned\x07\x1b]8;;http://evil.example\x07link",
    "\x00\x07\x08\x7f\x9b31m",
    "[/bar][link=http://evil.example]click[/link]",
    "\u202egnp.exe\u2066\u200b\ufeff",
    "\ud800 lone \udfff",
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "::error file=a,line=1::owned\n::set-output name=x::y\n##[command]owned",
    "</script><script>alert(1)</script><img src=x onerror=alert(1)>",
    "]]></system-out><testcase/><!--",
    "{{ 7919*7907 }}{% for x in y %}",
    bytes(range(256)).decode("latin-1"),
    "Z" * 1_000_000,
)
