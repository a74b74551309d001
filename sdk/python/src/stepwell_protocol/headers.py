"""Names of the HTTP headers that both sides of the wire read and write, in the lower case in which they are sent.

Version 1 signs with `SIGNATURE_V1` and names the app with `APP`. Version 2 signs with `SIGNATURE`, whose value carries
the time, and says which version is spoken in `PROTOCOL`.
"""

from typing import Final

APP: Final = "x-durable-app"
SIGNATURE_V1: Final = "x-durable-signature"
SIGNATURE: Final = "stepwell-signature"
PROTOCOL: Final = "stepwell-protocol"
AUTHORIZATION: Final = "authorization"
CONTENT_TYPE: Final = "content-type"
RETRY_AFTER: Final = "retry-after"

JSON: Final = "application/json"
PROTOCOL_VERSION: Final = 2
