"""What schemathesis checks of the platform's answers: the codes a real faasd 0.19.0 gives, and no others.

The official OpenAPI file names fewer codes than the real platform answers with. What that one was observed to answer
besides is listed here; an answer outside of both lists is a difference.
"""

import schemathesis

# (method, path) -> codes of the real platform that the file does not name
OBSERVED = {
    ("GET", "/metrics"): {404},  # on a port of its own
    ("POST", "/system/alert"): {400},
    ("GET", "/system/functions"): {400},
    ("POST", "/system/functions"): {200},
    ("POST", "/system/scale-function/{functionName}"): {400},
    ("GET", "/system/function/{functionName}"): {400},
    ("GET", "/system/secrets"): {400},
    ("POST", "/system/secrets"): {200},
    ("DELETE", "/system/secrets"): {200},
    ("POST", "/async-function/{functionName}"): {400},
    ("POST", "/async-function/{functionName}.{namespace}"): {400},
}
# Where the real platform answers 500 to what is wrong with a request.
SERVER_ERRORS = {"/system/secrets", "/system/logs", "/system/alert"}
# Any path: a name that no route takes is not found, a method that a route does not take is not allowed.
ALWAYS = {404, 405}


@schemathesis.check
def a_code_of_the_real_platform(ctx, response, case):
    operation = case.operation
    named = {int(code) for code in operation.definition.raw.get("responses", {}) if code.isdigit()}
    known = named | ALWAYS | OBSERVED.get((operation.method.upper(), operation.path), set())
    code = response.status_code
    # The OpenAPI file names 500 everywhere.
    if code >= 500 and operation.path not in SERVER_ERRORS:
        raise AssertionError(f"server error {code}: {response.text[:200]}")
    # A client whose request is no HTTP: Go's server and this one refuse it alike.
    if code == 400 and response.text == "400 Bad Request":
        return
    if code not in known:
        raise AssertionError(f"{code} is no answer of the real platform; it has {sorted(known)}")
