"""A server that speaks S3, on a free port of loopback, until it is ended. Writes its URL to the file named."""

import signal
import sys


def start():
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://%s:%s" % server.get_host_and_port()
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=url, **keys).create_bucket(Bucket="stillpoint")
    return url


url = ""
try:
    url = start()
finally:
    # Empty if it failed: somebody waits for it.
    with open(sys.argv[1], "w") as file:
        file.write(url)
signal.pause()
