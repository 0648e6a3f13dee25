internal import TunnelAPI
internal import TunnelCore

/// Reads the input as a Secret of the Kubernetes API and as a refusal. Nothing may trap; what is shown must be one bounded
/// line without what was sent.
func checkKubernetesObjects(_ bytes: [UInt8]) {
    if let secret = try? KubernetesSecret(bytes, named: "mcp-tunnel", in: "tunnels") {
        precondition(secret.name == "mcp-tunnel" && !secret.resourceVersion.isEmpty, "another Secret than asked for")
        for key in secret.keys { _ = try? secret.value(key) }
    }
    let sent = "value-0123456789-abcdefghij-KLMNOP"
    for verb in [KubernetesOperation.Verb.get, .create, .patch] {
        let operation = KubernetesOperation(verb: verb, name: "mcp-tunnel", namespace: "tunnels")
        for status in [400, 401, 403, 404, 409, 413, 422, 429, 500, 302] {
            let error = operation.refusal(HTTPResponse(status: status, body: bytes), hiding: [Secret(sent)])
            precondition(!error.reason.contains(sent), "a value in an error")
            precondition(error.reason.unicodeScalars.count < 1000, "a text without bounds")
            precondition(
                error.reason.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F }, "a control character")
            precondition(!error.remedy.isEmpty, "an error without a remedy")
        }
    }
}
