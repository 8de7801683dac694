"""A document to Markdown with the six functions; the key stands in DOC2X_APIKEY, the server in DOC2X_V1_BASE_URL."""

import os
import sys
import time

from doc2x_sdk.functions import get_limit, refresh_key, upload_img, upload_pdf, uuid2file, uuid_status

token = refresh_key(os.environ["DOC2X_APIKEY"])
uuid = (upload_pdf if sys.argv[1].endswith(".pdf") else upload_img)(token, sys.argv[1])
while "Success" not in (state := uuid_status(token, uuid, convert=True)):
    print(f"{state[1]}: {state[0]} %")
    time.sleep(1)
print(f"{len(state[2])} pages are in {uuid2file(token, uuid, 'md', './Output')}; {get_limit(token)} pages are left")
