using System.Text;

namespace SnapshotFlow.TemporalDev.Visibility.Filter;

/// <summary>Splits a list filter into tokens. Strings stand in single or double quotes; a quote inside is doubled or follows a backslash.</summary>
internal static class Lexer
{
    private static readonly string[] Symbols = ["!=", "<>", "<=", ">=", "=", "<", ">", "(", ")", ","];

    public static List<Token> Read(string query)
    {
        var tokens = new List<Token>();
        var position = 0;
        while (true)
        {
            while (position < query.Length && char.IsWhiteSpace(query[position]))
            {
                position++;
            }

            if (position == query.Length)
            {
                tokens.Add(new Token(TokenKind.End, "", position + 1));
                return tokens;
            }

            tokens.Add(Next(query, ref position));
        }
    }

    private static Token Next(string query, ref int position)
    {
        var start = position;
        var first = query[start];
        if (first is '\'' or '"' or '`')
        {
            return new Token(first == '`' ? TokenKind.QuotedName : TokenKind.Text, Quoted(query, ref position), start + 1);
        }

        var second = start + 1 < query.Length ? query[start + 1] : ' ';
        if (char.IsAsciiDigit(first) || (first is '-' or '+' or '.' && (char.IsAsciiDigit(second) || second == '.')))
        {
            return Number(query, ref position);
        }

        if (IsNameStart(first))
        {
            while (position < query.Length && IsNamePart(query[position]))
            {
                position++;
            }

            return new Token(TokenKind.Word, query[start..position], start + 1);
        }

        foreach (var symbol in Symbols)
        {
            if (string.CompareOrdinal(query, start, symbol, 0, symbol.Length) == 0)
            {
                position += symbol.Length;
                return new Token(TokenKind.Symbol, symbol == "<>" ? "!=" : symbol, start + 1);
            }
        }

        throw new InvalidQueryException($"unexpected character '{first}' at column {start + 1}");
    }

    private static Token Number(string query, ref int position)
    {
        var start = position++;
        var isDecimal = query[start] == '.';
        while (position < query.Length)
        {
            var next = query[position];
            if (next is '.' or 'e' or 'E' || (next is '-' or '+' && query[position - 1] is 'e' or 'E'))
            {
                isDecimal = true;
            }
            else if (!char.IsAsciiDigit(next))
            {
                break;
            }

            position++;
        }

        if (position < query.Length && IsNamePart(query[position]))
        {
            throw new InvalidQueryException(
                $"'{query[start..(position + 1)]}…' at column {start + 1} is neither a number nor a name; put times and texts in quotes");
        }

        return new Token(isDecimal ? TokenKind.Decimal : TokenKind.Integer, query[start..position], start + 1);
    }

    private static string Quoted(string query, ref int position)
    {
        var start = position;
        var quote = query[position++];
        var text = new StringBuilder();
        while (position < query.Length)
        {
            var next = query[position++];
            if (next == '\\' && quote != '`' && position < query.Length)
            {
                text.Append(query[position++]);
            }
            else if (next != quote)
            {
                text.Append(next);
            }
            else if (position < query.Length && query[position] == quote)
            {
                text.Append(quote);
                position++;
            }
            else
            {
                return text.ToString();
            }
        }

        throw new InvalidQueryException($"the quote {quote} at column {start + 1} is not closed");
    }

    private static bool IsNameStart(char c) => char.IsLetter(c) || c == '_';

    private static bool IsNamePart(char c) => char.IsLetterOrDigit(c) || c is '_' or '.' or '-';
}
