internal import TunnelCore

/// What a running proxy says of itself: `/status`, and what the page is made of.
///
/// A plain value without a secret in it. docs/status.schema.json has its JSON form; a change there that a reader could
/// stumble over raises ``schemaVersion``.
struct Status: Encodable, Sendable {
    static let schemaVersion = 1

    var schema = Status.schemaVersion
    /// When this was put together.
    var time: String
    var instance: Instance
    /// Without a domain, keys of routes are whole names.
    var domain: String?
    var listener: String
    var readiness: Readiness
    var configuration: Configuration
    var reloads: [Reload]
    /// Of several tunnels the one that ends first.
    var certificate: CertificateFacts
    /// Left out where there is a single tunnel.
    var tunnels: [TunnelFacts]?
    /// What should be looked at, of configuration and certificate.
    var findings: [Note]
    var sandbox: Sandbox
    var farSide: FarSideFacts
    var counts: Counts
    /// Where `cloudflared_metrics` is set.
    var cloudflared: Cloudflared?
    var routes: [RouteFacts]
    var failures: [FailureGroup]
    var requests: [RequestFacts]

    struct Instance: Encodable, Sendable {
        /// Random, made at the start: another one is another process.
        var id: String
        var version: String
        var libraries: [Library]
        var started: String
        var uptimeSeconds: Int64
        var process: Int32
        var loops: Int
    }

    struct Library: Encodable, Sendable {
        var name: String
        var version: String
    }

    struct Readiness: Encodable, Sendable {
        var ready: Bool
        var conditions: [Condition]
    }

    struct Condition: Encodable, Sendable {
        var id: String
        var holds: Bool
        var detail: String
    }

    struct Configuration: Encodable, Sendable {
        /// SHA-256 over the fields and values in force. It holds no secret, as a configuration holds none.
        var hash: String
        var logLevel: String
        var logFormat: String
    }

    /// One attempt to put something new in force.
    struct Reload: Encodable, Sendable {
        var time: String
        var ageSeconds: Int64
        /// `configuration` or `certificate`.
        var kind: String
        /// `start`, `signal`, `command`, `watch`, `api`.
        var by: String
        /// `ok` or `failed`.
        var result: String
        var detail: String
    }

    struct CertificateFacts: Encodable, Sendable {
        var subject: String
        var issuer: String
        var names: [String]
        var notBefore: String
        var notAfter: String
        var daysLeft: Int64
        /// Of its life, in percent; below 0 before it, above 100 behind it.
        var lifeSpentPercent: Int64
        var fingerprint: String
        var key: String

        /// Of nothing.
        static let none = CertificateFacts(
            subject: "", issuer: "", names: [], notBefore: "", notAfter: "", daysLeft: 0, lifeSpentPercent: 0,
            fingerprint: "", key: "")
    }

    /// One of several tunnels.
    struct TunnelFacts: Encodable, Sendable {
        var domain: String
        var routes: Int
        var certificate: CertificateFacts
    }

    /// Something that an operator should know.
    struct Note: Encodable, Sendable {
        var id: String
        var level: String
        var text: String
        var detail: String
        var remedy: String
    }

    /// What the kernel denies the process.
    struct Sandbox: Encodable, Sendable {
        /// As configured; `none` where the proxy is part of another program.
        var mode = "none"
        /// The version in force; 0 for none.
        var landlockAbi = 0
        var filtersCalls = false
        var confinesSignals = false
        /// Left out where all of them are open.
        var bindPorts: [UInt16]?
        var connectPorts: [UInt16]?
        /// What is not in force, and why.
        var missing: [String] = []
    }

    /// When the far side was last heard of.
    struct FarSideFacts: Encodable, Sendable {
        var connection: Moment?
        var ping: Moment?
        var request: Moment?
    }

    struct Moment: Encodable, Sendable {
        var time: String
        var ageSeconds: Int64
    }

    struct Counts: Encodable, Sendable {
        var tunnels: Int
        var connections: Int
        var requestsInFlight: Int
        /// Of the routes together, since the start or since the route is there.
        var requests: UInt64
        var failures: UInt64
        var limitHits: [LimitHits]
    }

    /// How often one limit of the configuration was reached.
    struct LimitHits: Encodable, Sendable {
        var limit: String
        var count: UInt64
    }

    struct Cloudflared: Encodable, Sendable {
        var ready: Bool
        var connections: Int?
        var detail: String
        var checked: String?
    }

    struct RouteFacts: Encodable, Sendable {
        /// Its key; with several tunnels the whole host name.
        var route: String
        /// The domain of its tunnel, where there are several.
        var tunnel: String?
        var url: String?
        var upstream: String
        var verdict: RouteVerdict
        /// Why, where it is not plain.
        var reason: String
        var requests: UInt64
        var failures: UInt64
        /// From a request's head to the first byte of its response, on average over the last ten minutes.
        var latencyMs: Double?
        var lastStatus: Int?
        var last: Moment?
        /// `nil` where nothing happened in its time.
        var history: History?
    }

    /// What happened to a route, by intervals of ``RouteHistory``, the latest last.
    struct History: Encodable, Sendable, Equatable {
        var intervalSeconds = RouteHistory.seconds
        var requests: [UInt32]
        var failures: [UInt32]
        /// `nil` where no response began.
        var latencyMs: [Double?]
    }

    /// Failures of one cause.
    struct FailureGroup: Encodable, Sendable {
        var cause: String
        var title: String
        var remedy: String
        /// Since the start.
        var count: UInt64
        var routes: [String]
        var last: Moment
    }

    struct RequestFacts: Encodable, Sendable {
        /// As in the log.
        var id: String
        var time: String
        var ageSeconds: Int64
        var route: String?
        var method: String
        var host: String
        /// Its beginning, without a query.
        var path: String
        var status: Int
        var durationMs: Double
        var firstByteMs: Double?
        var bytesIn: UInt64
        var bytesOut: UInt64
        var cause: String?
    }
}

/// How a route does, by what was asked of it and by the address policy.
enum RouteVerdict: String, Encodable, Sendable {
    /// Its last requests went well.
    case ok
    /// Some of its last requests failed.
    case degraded
    /// The last of its requests failed, and none since went well.
    case failing
    /// The address policy will not let it be dialled.
    case refused
    /// Nobody has asked yet, or not for long.
    case idle
}
