import Testing
import TunnelCore

@testable import TunnelAPI

/// What refusals say. The messages are those of Kubernetes 1.29.
@Suite struct KubernetesOperationTests {
    typealias Verb = KubernetesOperation.Verb

    static func refusal(
        _ verb: Verb, _ step: KubernetesScript.Step, hiding secrets: [String] = []
    ) throws -> KubernetesError {
        guard case .response(let response) = step else { throw KubernetesError(.configuration, "", remedy: "") }
        return KubernetesOperation(verb: verb, name: "mcp-tunnel", namespace: "tunnels")
            .refusal(response, hiding: secrets.map(Secret.init))
    }

    @Test(arguments: [
        (Verb.get, #"secrets "mcp-tunnel" is forbidden"#, #", resourceNames: ["mcp-tunnel"], verbs: [get]}"#),
        (Verb.patch, #"secrets "mcp-tunnel" is forbidden"#, #", resourceNames: ["mcp-tunnel"], verbs: [patch]}"#),
        (Verb.create, "secrets is forbidden", ", verbs: [create]}"),
    ]) func aMissingRightIsNamedWithTheRuleThatGrantsIt(_ verb: Verb, _ begin: String, _ rule: String) throws {
        let message =
            #"\#(begin): User "system:serviceaccount:tunnels:mcp-tunnel-setup" cannot \#(verb.rawValue) resource "secrets" "#
            + #"in API group "" in the namespace "tunnels""#
        let error = try Self.refusal(verb, .refusal(403, "Forbidden", message))
        #expect(error.code == .forbidden && error.status == 403 && !error.mayHaveBeenActedOn)
        #expect(
            error.reason
                == "cannot \(verb.rawValue) secret mcp-tunnel in namespace tunnels: HTTP 403 (Forbidden): \(message)")
        // Who may make Secrets can have any account's token written into one, so the Secret comes first.
        let remedy =
            verb == .create
            ? "make it, empty: kubectl -n tunnels create secret generic mcp-tunnel; or, where the account may make Secrets of"
                + " any kind, add to its Role: "
            : "add to the Role of this service account: "
        #expect(error.remedy == remedy + #"{apiGroups: [""], resources: [secrets]\#(rule)"#)
    }

    /// Not every 403 comes from RBAC.
    @Test(arguments: [
        #"secrets "mcp-tunnel" is forbidden: exceeded quota: q, requested: secrets=1, used: secrets=5, limited: secrets=5"#,
        #"admission webhook "policy.example" denied the request: no Opaque secrets here"#,
        "",
    ]) func anotherRuleIsNotTakenForRBAC(_ message: String) throws {
        let error = try Self.refusal(.create, .refusal(403, "Forbidden", message))
        #expect(error.code == .forbidden && !error.remedy.contains("Role"))
        #expect(message.isEmpty || error.reason.hasSuffix(": \(message)"))
    }

    @Test(arguments: [
        (404, "NotFound", KubernetesError.Code.notFound, false), (409, "AlreadyExists", .alreadyExists, false),
        (409, "Conflict", .conflict, false), (409, "", .conflict, false), (422, "Invalid", .invalid, false),
        (400, "BadRequest", .invalid, false), (413, "RequestEntityTooLarge", .invalid, false),
        (415, "UnsupportedMediaType", .invalid, false), (429, "TooManyRequests", .rateLimited, false),
        (500, "InternalError", .server, true), (504, "Timeout", .server, true), (302, "", .malformedResponse, false),
    ]) func everyStatusHasItsCode(
        _ status: Int, _ reason: String, _ code: KubernetesError.Code, _ isOpen: Bool
    ) throws {
        let error = try Self.refusal(.patch, .refusal(status, reason, "in words"))
        #expect(error.code == code && error.status == status && !error.remedy.isEmpty)
        #expect(error.mayHaveBeenActedOn == isOpen)
        #expect(try !Self.refusal(.get, .refusal(status, reason, "in words")).mayHaveBeenActedOn)
    }

    @Test(arguments: ["", "<html>", "[]", #"{"message":7}"#]) func anAnswerWithoutWordsIsEnoughForAnError(
        _ body: String
    ) throws {
        let error = try Self.refusal(.get, .json(403, body))
        #expect(error.reason == "cannot get secret mcp-tunnel in namespace tunnels: HTTP 403")
    }

    /// The server quotes the whole patched object, with everything that was in it before.
    @Test(arguments: [400, 413, 422]) func whatTheServerQuotesIsNotShown(_ status: Int) throws {
        let error = try Self.refusal(
            .patch,
            .refusal(
                status, "Invalid", #" "" is invalid: patch: Invalid value: "{\"data\":{\"tls.key\":\"c2VjcmV0\"}}""#,
                causes: #"[{"reason":"FieldValueInvalid","message":"Invalid value: \"c2VjcmV0\"","field":"patch"},"#
                    + #"{"reason":"FieldValueTooLong","field":"data"},{"field":"type"},{"message":"c2VjcmV0"}]"#))
        #expect(
            error.reason == "cannot patch secret mcp-tunnel in namespace tunnels: HTTP \(status) (Invalid): "
                + "patch: FieldValueInvalid, data: FieldValueTooLong, type")
        #expect(!"\(error)".contains("c2VjcmV0"))
    }

    @Test func secretsAndControlCharactersAreTakenOut() throws {
        let value = "a value of sixteen or more"
        let error = try Self.refusal(
            .patch, .refusal(500, "InternalError", "saw \(value) and\n\u{1B}[31m the-token-of-us here"),
            hiding: [value, "the-token-of-us"])
        #expect(error.reason.hasSuffix(#"(InternalError): saw [redacted] and\n\x1b[31m [redacted] here"#), "\(error)")
    }

    @Test func whatTheServerSaysIsBounded() throws {
        let error = try Self.refusal(.get, .refusal(500, "InternalError", String(repeating: "x", count: 100_000)))
        #expect(error.reason.count < 700 && error.reason.hasSuffix("x…"))
    }

    /// The values of a change are among what is hidden, in both forms.
    @Test func aChangeHidesItsValues() async throws {
        let value = "-----BEGIN PRIVATE KEY-----"
        let base64 = KubernetesBody.base64(Array(value.utf8))
        let echo = KubernetesScript.Step.refusal(403, "Forbidden", "denied: \(value) \(base64) 1 token-of-the-account")
        let client = try KubernetesSecretClient(
            service: .local, namespace: "n", name: "s", credential: .token(Secret("token-of-the-account")),
            transport: KubernetesScript([echo, echo]))
        for isCreation in [true, false] {
            let error = await #expect(throws: KubernetesError.self) {
                if isCreation {
                    _ = try await client.create(data: ["tls.key": Array(value.utf8), "token-version": Array("1".utf8)])
                } else {
                    _ = try await client.patch(data: ["tls.key": Array(value.utf8)], resourceVersion: "1")
                }
            }
            #expect(error?.reason.hasSuffix(": denied: [redacted] [redacted] 1 [redacted]") == true, "\(error as Any)")
        }
    }
}
