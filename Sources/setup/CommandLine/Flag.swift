/// One flag of a command, as it is parsed and as `--help` tells it.
struct Flag: Equatable, Sendable {
    let name: String
    /// What stands for its value in the help, for example `PATH`; `nil` for a flag without a value.
    let value: String?
    let meaning: String
    /// The environment variable that is read where the flag is not given.
    var variable: String?

    init(_ name: String, takes value: String? = nil, variable: String? = nil, _ meaning: String) {
        (self.name, self.value, self.variable, self.meaning) = (name, value, variable, meaning)
    }
}

extension Flag {
    static let help = Flag("help", "print this and exit")
    static let json = Flag("json", "print the result as JSON on standard output; no secrets")
    static let output = Flag(
        "output", takes: "PLACE", "dir:/path or k8s-secret:NAME (default in a Kubernetes pod: k8s-secret:mcp-tunnel)")
    static let apiURL = Flag(
        "api-url", takes: "URL", variable: "API_URL", "base URL of the API: https://api.anthropic.com")
    static let apiGeneration = Flag(
        "api-generation", takes: "1|2", "1 or 2; default: by the scope that the token exchange grants")
    static let tunnelID = Flag(
        "tunnel-id", takes: "ID", variable: "TUNNEL_ID", "the tunnel, tnl_...; default: the stored one")
    static let certDuration = Flag(
        "cert-duration", takes: "DURATION", "validity of the server certificate (default 2160h)")
    static let keyType = Flag(
        "key-type", takes: "TYPE",
        "rsa-2048, rsa-3072, rsa-4096, ecdsa-p256 or ecdsa-p384; default: as before, at first rsa-4096")
    static let yes = Flag("yes", "do not ask")
    static let dryRun = Flag("dry-run", "print what would be done, and change nothing")
}
