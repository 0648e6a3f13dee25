internal import TunnelCore

/// Where a configuration was read: its file, and the place of each field in it. Two that differ in this alone are the same
/// configuration.
struct ConfigurationPlaces: Sendable, Equatable {
    var file: String?
    var marks: [String: YAMLMark] = [:]
    /// Of one of several tunnels: where its own fields stand, with a dot; empty for the only one.
    var prefix = ""
    /// It has a list of addresses of its own there.
    var hasOwnRanges = false

    static func == (a: Self, b: Self) -> Bool { true }
}

extension ProxyConfiguration {
    /// The error about a field's value that only its use has shown, with the place where it stands.
    func error(_ field: String, _ problem: String, remedy: String) -> ConfigurationError {
        ConfigurationError([diagnostic(field, problem, remedy: remedy)])
    }

    func diagnostic(_ field: String, _ problem: String, remedy: String) -> Diagnostic {
        let field = self.field(field)
        return Diagnostic(file: places.file, mark: places.marks[field], field: field, problem: problem, remedy: remedy)
    }

    /// What a field of the single tunnel is called where this one is one of several.
    func field(_ name: String) -> String {
        guard !places.prefix.isEmpty else { return name }
        if name == "upstream.allowed_ips" { return places.hasOwnRanges ? "\(places.prefix)allowed_ips" : name }
        let isOwn = Self.fieldsOfTunnel.contains { own in
            name == own || name.hasPrefix("\(own).") || name.hasPrefix("\(own)[")
        }
        return isOwn ? places.prefix + name : name
    }
}
