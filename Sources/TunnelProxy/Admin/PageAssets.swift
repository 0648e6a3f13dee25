internal import FoundationEssentials
internal import TunnelPKI

/// Style sheet and script of the page. They stand in the document, which fetches nothing: the policy that goes with it allows
/// these two by their hashes, and no other.
enum PageAssets {
    static let style = Markup(own: styleText)
    static let script = Markup(own: scriptText)

    /// The value of Content-Security-Policy.
    static let policy = [
        "default-src 'none'", "style-src '\(hash(styleText))'", "script-src '\(hash(scriptText))'",
        "connect-src 'self'",
        "img-src data:", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
    ].joined(separator: "; ")

    private static func hash(_ text: String) -> String {
        // OpenSSL without memory for a digest: then the browser runs nothing, and the page has its facts all the same.
        let digest = (try? Array(text.utf8).sha256()) ?? []
        return "sha256-\(Data(digest).base64EncodedString())"
    }
}
