namespace SnapshotFlow.TemporalDev.Visibility.Filter;

internal enum TokenKind
{
    /// <summary>An attribute name or a key word.</summary>
    Word,

    /// <summary>A name in back quotes: never a key word.</summary>
    QuotedName,
    Text,
    Integer,
    Decimal,
    Symbol,
    End,
}

/// <param name="Position">1-based column in the query, for messages.</param>
internal readonly record struct Token(TokenKind Kind, string Value, int Position)
{
    public bool Is(string keyWord) => Kind == TokenKind.Word && Value.Equals(keyWord, StringComparison.OrdinalIgnoreCase);

    public bool IsSymbol(string symbol) => Kind == TokenKind.Symbol && Value == symbol;

    public override string ToString() => Kind == TokenKind.End ? "the end of the query" : $"'{Value}' at column {Position}";
}
