"""The response codes of the Handle system (RFC 3652 §2.2.2.3 as deployed), as far as this node says them.

Those from 600 on are of the industrial identifier system's own clients.
"""

from enum import IntEnum


class ResponseCode(IntEnum):
    """What came of a request, in one number."""

    SUCCESS = 1
    ERROR = 2
    SERVER_BUSY = 3
    PROTOCOL_ERROR = 4
    OPERATION_NOT_SUPPORTED = 5
    HANDLE_NOT_FOUND = 100
    HANDLE_ALREADY_EXISTS = 101
    INVALID_HANDLE = 102
    VALUES_NOT_FOUND = 200
    VALUE_ALREADY_EXISTS = 201
    INVALID_VALUE = 202
    SERVER_NOT_RESPONSIBLE = 301
    SERVICE_REFERRAL = 302
    PREFIX_REFERRAL = 303
    INSUFFICIENT_PERMISSIONS = 401
    AUTHENTICATION_NEEDED = 402
    DAILY_REQUEST_LIMIT = 603
    REGISTRATION_LIMIT = 604
    PREFIX_LIMIT = 605
