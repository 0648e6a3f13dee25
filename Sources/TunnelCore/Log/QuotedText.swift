/// A text from a file, in quotes for an error message: printable ASCII, and cut, as the file may hold anything.
package func quotedText(_ text: some StringProtocol) -> String {
    let limit = 64
    let cut = text.unicodeScalars.prefix(limit).map { $0.escaped(asASCII: true) }.joined()
    return "\"\(cut)\(text.unicodeScalars.dropFirst(limit).isEmpty ? "" : "...")\""
}
