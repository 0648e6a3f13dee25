/// Numbers and columns as text, without Foundation.
enum Text {
    static func left(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }

    static func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(1, width - text.count)) + text
    }

    /// With thousands apart: `12,345.6`.
    static func number(_ value: Double, _ decimals: Int) -> String {
        var scale = 1.0
        for _ in 0..<decimals { scale *= 10 }
        let scaled = Int64((abs(value) * scale).rounded())
        let whole = scaled / Int64(scale), part = scaled % Int64(scale)
        var text = ""
        for (place, digit) in String(whole).reversed().enumerated() {
            if place > 0 && place % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        text = String(text.reversed())
        if decimals > 0 { text += "." + String(repeating: "0", count: decimals - String(part).count) + String(part) }
        return (value < 0 ? "-" : "") + text
    }

    /// As JSON wants it.
    static func plain(_ value: Double) -> String {
        let rounded = (value * 1000).rounded() / 1000
        return rounded.isFinite ? "\(rounded)" : "null"
    }
}
