/// The status code of a Close frame (RFC 6455 §7.4 and the IANA registry "WebSocket Close Code Number").
///
/// A struct rather than an enum because peers may use any code from 3000 to 4999.
public struct CloseCode: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// The purpose of the connection is fulfilled.
    public static let normal = CloseCode(rawValue: 1000)
    /// A server shuts down, or a browser leaves the page.
    public static let goingAway = CloseCode(rawValue: 1001)
    /// The peer broke the protocol.
    public static let protocolError = CloseCode(rawValue: 1002)
    /// A type of data that this endpoint does not take, for example text where only binary is understood.
    public static let unsupportedData = CloseCode(rawValue: 1003)
    /// Never on the wire: stands for a Close frame without a code.
    public static let noStatusReceived = CloseCode(rawValue: 1005)
    /// Never on the wire: stands for a connection that ended without a Close frame.
    public static let abnormalClosure = CloseCode(rawValue: 1006)
    /// The content does not fit its type: text that is not UTF-8, or a broken compressed message.
    public static let invalidPayload = CloseCode(rawValue: 1007)
    /// A rule of this endpoint that no other code describes.
    public static let policyViolation = CloseCode(rawValue: 1008)
    /// Larger than this endpoint accepts.
    public static let messageTooBig = CloseCode(rawValue: 1009)
    /// The client expected an extension that the server did not negotiate.
    public static let mandatoryExtension = CloseCode(rawValue: 1010)
    /// This endpoint failed for a reason of its own.
    public static let internalError = CloseCode(rawValue: 1011)
    /// The service restarts (IANA registry).
    public static let serviceRestart = CloseCode(rawValue: 1012)
    /// The service is overloaded (IANA registry).
    public static let tryAgainLater = CloseCode(rawValue: 1013)
    /// A gateway got an invalid answer from its upstream (IANA registry).
    public static let badGateway = CloseCode(rawValue: 1014)
    /// Never on the wire: stands for a failed TLS handshake.
    public static let tlsHandshake = CloseCode(rawValue: 1015)

    /// Whether the code may stand in a Close frame (RFC 6455 §7.4.1 and §7.4.2).
    ///
    /// 1004, 1005, 1006 and 1015 are reserved; nothing is assigned below 1000, from 1016 to 2999, or
    /// above 4999.
    public var isValidOnTheWire: Bool {
        switch rawValue {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }

    public var description: String { String(rawValue) }
}
