// What the snippets use of swift-configuration, in the same shape; here so that they compile without a network.

public struct ConfigKey: ExpressibleByStringLiteral, Sendable {
    let name: String
    public init(stringLiteral value: String) { name = value }
}

public struct ConfigReader: Sendable {
    public struct Missing: Error { public let key: String }

    private let values: [String: String]
    /// Stands for other providers.
    public init(values: [String: String]) { self.values = values }

    public init(provider: EnvironmentVariablesProvider) { values = provider.values }

    public func requiredString(forKey key: ConfigKey) throws -> String {
        guard let value = values[key.name] else { throw Missing(key: key.name) }
        return value
    }

    public func int(forKey key: ConfigKey, default defaultValue: Int) -> Int {
        values[key.name].flatMap { Int($0) } ?? defaultValue
    }
}
