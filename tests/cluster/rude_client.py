"""Clients that do what the library never does, over bare sockets: they don't speak, never read their answers, or
ask without waiting when they are told to.

The rest is gRPC by hand: HTTP/2 frames (RFC 9113), headers without compression (RFC 7541), messages of
ringleader.data.v1 as Protocol Buffers.
"""

import socket
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS = 0, 1, 4
END_HEADERS = 4
FRAME_BYTES = 16384
INITIAL_WINDOW_BYTES = 65535  # what may be sent before the peer's first WINDOW_UPDATE is read


def connect(address):
    host, port = address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=20)


def http2_frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def header(name, value):
    return b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def varint(value):
    text = b""
    while value >= 0x80:
        text += bytes([value & 0x7F | 0x80])
        value >>= 7
    return text + bytes([value])


def field(number, content):
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def get_request(number, table, key_name, key):
    """ringleader.data.v1.Request: Get of an item with one string key; a linearizable read."""
    value = field(1, key.encode())
    item = field(1, field(1, key_name.encode()) + field(2, value))
    return varint(1 << 3) + varint(number) + field(3, table.encode()) + field(10, field(1, item))


def put_request(number, table, item):
    """ringleader.data.v1.Request: Put of an item of strings, outside of any write session."""
    entries = b"".join(field(1, field(1, name.encode()) + field(2, field(1, value.encode()))) for name, value in item.items())
    return varint(1 << 3) + varint(number) + field(3, table.encode()) + field(11, field(1, entries))


def open_exchange(address):
    """A socket on which stream 1 is a call of ringleader.data.v1.Data.Exchange."""
    client = connect(address)
    headers = b"".join(header(name, value) for name, value in (
        (":method", "POST"), (":scheme", "http"), (":path", "/ringleader.data.v1.Data/Exchange"),
        (":authority", address), ("content-type", "application/grpc"), ("te", "trailers")))
    client.sendall(PREFACE + http2_frame(SETTINGS, 0, 0) + http2_frame(HEADERS, END_HEADERS, 1, headers))
    return client


def send_message(client, message):
    message = struct.pack(">BI", 0, len(message)) + message
    for begin in range(0, len(message), FRAME_BYTES):
        client.sendall(http2_frame(DATA, 0, 1, message[begin:begin + FRAME_BYTES]))


def numbers_of(message):
    """{field: value} of the varints of a Protocol Buffers message."""
    found, at = {}, 0

    def next_varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at, value, shift = at + 1, value | (byte & 0x7F) << shift, shift + 7
            if byte < 0x80:
                return value
    while at < len(message):
        tag = next_varint()
        value = next_varint()
        if tag & 7 == 2:
            at += value
        else:
            found[tag >> 3] = value
    return found


def ask(address, request):
    """The numbers in the ringleader.data.v1.Response to one request over a call of its own; small answers only."""
    with open_exchange(address) as client:
        send_message(client, field(1, request))
        stream = client.makefile("rb")
        while True:
            head = stream.read(9)
            if len(head) < 9:
                raise ConnectionError(f"{address} ended the connection without an answer")
            payload = stream.read(int.from_bytes(head[:3], "big"))
            if head[3] == SETTINGS and not head[4] & 1:
                client.sendall(http2_frame(SETTINGS, 1, 0))  # acknowledged
            if head[3] == DATA:
                response = payload[5:]  # behind gRPC's own five bytes, a ResponseFrame with one response
                length_bytes = next(at for at in range(1, len(response)) if response[at] < 0x80)
                return numbers_of(response[1 + length_bytes:])


def send_gets_and_read_nothing(client, table, key_name, key):
    """As many reads of that item as the first window takes, in one frame of requests; returns how many."""
    requests, number = b"", 0
    while True:
        more = field(1, get_request(number + 1, table, key_name, key))
        if len(requests) + len(more) + 5 > INITIAL_WINDOW_BYTES:
            break
        requests, number = requests + more, number + 1
    send_message(client, requests)
    return number
