internal import FoundationEssentials
package import TunnelCore

/// Why something could not be done with the Kubernetes API, in words for the person who has to do something about it.
///
/// No text in it holds a token or a value of the Secret.
public struct KubernetesError: Error, Sendable, Equatable, CustomStringConvertible {
    /// More codes may come in later versions.
    public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }
        public var description: String { rawValue }

        /// This is no pod, or its service account cannot be read.
        public static let configuration = Code(rawValue: "configuration")
        /// The name of a namespace or a Secret is not valid.
        public static let invalidName = Code(rawValue: "invalid-name")
        /// No response came: connection, TLS, time-out.
        public static let transport = Code(rawValue: "transport")
        /// HTTP 401.
        public static let unauthenticated = Code(rawValue: "unauthenticated")
        /// HTTP 403: RBAC, a quota or an admission rule.
        public static let forbidden = Code(rawValue: "forbidden")
        /// HTTP 404.
        public static let notFound = Code(rawValue: "not-found")
        /// HTTP 409 for an object that is there already.
        public static let alreadyExists = Code(rawValue: "already-exists")
        /// HTTP 409 for an object that has changed since it was read.
        public static let conflict = Code(rawValue: "conflict")
        /// HTTP 422, and each other 4xx that has no code of its own.
        public static let invalid = Code(rawValue: "invalid")
        /// HTTP 429, again and again.
        public static let rateLimited = Code(rawValue: "rate-limited")
        /// HTTP 5xx, again and again.
        public static let server = Code(rawValue: "server")
        /// There is a response, but not one of the Kubernetes API, or one that is too long.
        public static let malformedResponse = Code(rawValue: "malformed-response")
    }

    public let code: Code
    /// The HTTP status; `nil` if no response came.
    public let status: Int?
    /// What failed and why, with namespace and name.
    public let reason: String
    /// What to do about it; never empty.
    public let remedy: String
    /// Whether something may have changed on the server although no response says so. Reading never sets it.
    public internal(set) var mayHaveBeenActedOn: Bool

    init(_ code: Code, status: Int? = nil, _ reason: String, remedy: String, mayHaveBeenActedOn: Bool = false) {
        (self.code, self.status, self.reason) = (code, status, reason)
        (self.remedy, self.mayHaveBeenActedOn) = (remedy, mayHaveBeenActedOn)
    }

    public var description: String { "\(reason) (\(remedy))" }

    /// Equal when the codes are.
    public static func == (a: Self, b: Self) -> Bool { a.code == b.code }
}

/// What is wrong with the body of a response, without any of its values.
package struct MalformedSecret: Error {
    package let reason: String
}

/// What one request was to do.
package struct KubernetesOperation: Sendable {
    /// As RBAC names it.
    package enum Verb: String, Sendable { case get, create, patch }

    let verb: Verb
    let name: String
    let namespace: String

    package init(verb: Verb, name: String, namespace: String) {
        (self.verb, self.name, self.namespace) = (verb, name, namespace)
    }

    var description: String { "\(verb.rawValue) secret \(name) in namespace \(namespace)" }

    /// What has to be in a Role, as YAML in its short form. `create` cannot be limited to a name.
    var rule: String {
        let names = verb == .create ? "" : ", resourceNames: [\"\(name)\"]"
        return "{apiGroups: [\"\"], resources: [secrets]\(names), verbs: [\(verb.rawValue)]}"
    }

    /// The error for a request that no response came to.
    func failure(_ error: TransportError) -> KubernetesError {
        KubernetesError(
            .transport, "cannot \(description): \(error.reason)",
            remedy: "see that the pod can reach the cluster's API server (network policies, KUBERNETES_SERVICE_HOST)",
            mayHaveBeenActedOn: verb != .get && error.mayHaveBeenReceived)
    }

    /// The error for a response that says success and is not readable.
    func failure(_ malformed: MalformedSecret, _ response: HTTPResponse) -> KubernetesError {
        KubernetesError(
            .malformedResponse, status: response.status,
            "cannot \(description): HTTP \(response.status), but \(malformed.reason)",
            remedy: "see what serves the Kubernetes API", mayHaveBeenActedOn: verb != .get)
    }

    /// The error that a response other than success stands for.
    ///
    /// What the server says is passed on, except where it may quote what it was sent or has stored: of what it finds wrong
    /// with an object, only the names of the fields.
    package func refusal(_ response: HTTPResponse, hiding secrets: [Secret]) -> KubernetesError {
        let object = try? JSONDecoder().decode(Status.self, from: Data(response.body))
        let redaction = Redaction(secrets)
        let isAboutObject = [400, 413, 422].contains(response.status)
        let said: String =
            if isAboutObject {
                redaction((object?.details?.causes ?? []).compactMap(\.text).joined(separator: ", "), limit: 500)
            } else {
                redaction(object?.message ?? "", limit: 500)
            }
        let (code, remedy) = meaning(response.status, object)
        let name = object?.reason.map { " (\(redaction($0, limit: 100)))" } ?? ""
        return KubernetesError(
            code, status: response.status,
            "cannot \(description): HTTP \(response.status)\(name)\(said.isEmpty ? "" : ": \(said)")", remedy: remedy,
            mayHaveBeenActedOn: verb != .get && response.status >= 500)
    }

    private func meaning(_ status: Int, _ object: Status?) -> (KubernetesError.Code, remedy: String) {
        switch status {
        case 401:
            return (.unauthenticated, "the service account's token is not accepted: see that the account exists")
        case 403:
            // The words of the RBAC authorizer. Others say no as well: quotas, admission rules, a namespace that ends.
            guard object?.message?.contains("cannot \(verb.rawValue) resource") == true else {
                return (.forbidden, "ask the administrators of the cluster about this rule")
            }
            guard verb == .create else { return (.forbidden, "add to the Role of this service account: \(rule)") }
            // Whoever may make Secrets can have Kubernetes write any account's token into one.
            return (
                .forbidden,
                "make it, empty: kubectl -n \(namespace) create secret generic \(name); or, where the account may make"
                    + " Secrets of any kind, add to its Role: \(rule)"
            )
        case 404:
            return (.notFound, "see that namespace \(namespace) exists")
        case 409 where object?.reason == "AlreadyExists":
            return (.alreadyExists, "run setup again")
        case 409:
            return (.conflict, "run setup again")
        case 413, 422:
            return (.invalid, "see what is wrong with the Secret: kubectl get secret \(name) -n \(namespace) -o yaml")
        case 429:
            return (.rateLimited, "run setup again later")
        case 500...:
            return (.server, "see that the cluster's API server is well, then run setup again")
        case 400..<500:
            return (.invalid, "see what serves the Kubernetes API")
        default:
            return (.malformedResponse, "see what serves the Kubernetes API")
        }
    }

    /// The `Status` object of the API, as much of it as is of use.
    private struct Status: Decodable {
        struct Details: Decodable {
            var causes: [Cause]?
        }
        struct Cause: Decodable {
            var field: String?
            var reason: String?
            var text: String? {
                guard let field, !field.isEmpty else { return reason }
                return reason.map { "\(field): \($0)" } ?? field
            }
        }
        var reason: String?
        var message: String?
        var details: Details?
    }
}
