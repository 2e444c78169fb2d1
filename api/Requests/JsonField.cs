using System.Globalization;
using System.Text;
using System.Text.Json;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Model;

namespace SnapshotFlow.Api.Requests;

/// <summary>
/// A member of a request body that knows its name, so that what is wrong with it can be said as Nova says it:
/// <c>Invalid input for field/attribute name. Value: 7. 7 is not of type 'string'</c>. Source: Nova, <c>nova/api/validation/validators.py</c>, whose texts come
/// from Python's jsonschema; values are therefore shown as Python shows them.
/// </summary>
internal readonly record struct JsonField(string Name, JsonElement Value)
{
    /// <summary>A 400 that names the member and shows its value.</summary>
    public Fault Invalid(string why) => Fault.BadRequest($"Invalid input for field/attribute {Name}. Value: {Shown(Value)}. {why}");

    /// <summary>The members of an object that has all of <paramref name="required"/> and nothing beyond them and <paramref name="optional"/>.</summary>
    public IReadOnlyDictionary<string, JsonField> Object(string[] required, string[] optional)
    {
        var members = Members();
        foreach (var name in required)
        {
            if (!members.ContainsKey(name))
            {
                throw Invalid($"'{name}' is a required property");
            }
        }

        var unexpected = members.Keys.Except([.. required, .. optional]).Order(StringComparer.Ordinal).Select(Quoted).ToList();
        return unexpected.Count == 0
            ? members
            : throw Invalid($"Additional properties are not allowed ({string.Join(", ", unexpected)} {(unexpected.Count == 1 ? "was" : "were")} unexpected)");
    }

    /// <summary>The members of an object, whatever they are called.</summary>
    public IReadOnlyDictionary<string, JsonField> Members() => Value.ValueKind is JsonValueKind.Object
        ? Value.EnumerateObject().ToDictionary(m => m.Name, m => new JsonField(m.Name, m.Value))
        : throw NotOfType("object");

    /// <summary>Null or <c>{}</c>: what an action without arguments says.</summary>
    public void RequireNothing()
    {
        if (!IsNull && (Value.ValueKind is not JsonValueKind.Object || Value.EnumerateObject().Any()))
        {
            throw Invalid("It must be null or {}");
        }
    }

    /// <summary>A text.</summary>
    public string Text() => Value.ValueKind is JsonValueKind.String ? Value.GetString()! : throw NotOfType("string");

    /// <summary>A text of at most so many characters that a database can store.</summary>
    public string Text(int maxLength)
    {
        var text = Text();
        return text.EnumerateRunes().Count() > maxLength ? throw Invalid($"{Represented(Value)} is too long")
            : text.Contains('\0', StringComparison.Ordinal) ? throw Invalid("It must not hold the character U+0000")
            : text;
    }

    /// <summary>Whether the caller said null.</summary>
    public bool IsNull => Value.ValueKind is JsonValueKind.Null;

    /// <summary>A text, or null.</summary>
    public string? OptionalText(int maxLength) => IsNull ? null : Value.ValueKind is JsonValueKind.String ? Text(maxLength) : throw NotOfType("string', 'null");

    /// <summary>A UUID, or null.</summary>
    public T? OptionalId<T>() where T : struct, IId<T> => IsNull ? null : Id<T>();

    /// <summary>A UUID.</summary>
    public T Id<T>() where T : struct, IId<T> => IId<T>.TryParse(Text(), out var id) ? id : throw Invalid($"{Represented(Value)} is not a 'uuid'");

    /// <summary>One of the given words.</summary>
    public T OneOf<T>(IReadOnlyDictionary<string, T> words) =>
        Value.ValueKind is JsonValueKind.String && words.TryGetValue(Value.GetString()!, out var meant)
            ? meant
            : throw Invalid($"{Represented(Value)} is not one of [{string.Join(", ", words.Keys.Select(Quoted))}]");

    /// <summary>One of the given words, as it is.</summary>
    public string OneOf(IReadOnlyCollection<string> words) => OneOf(words.ToDictionary(w => w));

    /// <summary>True or false, and no word for it.</summary>
    public bool Boolean() => Value.ValueKind is JsonValueKind.True or JsonValueKind.False ? Value.GetBoolean() : throw NotOfType("boolean");

    /// <summary>A number within the limits.</summary>
    public double Number(double minimum, double maximum) =>
        Value.ValueKind is not JsonValueKind.Number || !Value.TryGetDouble(out var number) ? throw NotOfType("number")
        : number < minimum ? throw Invalid(string.Create(CultureInfo.InvariantCulture, $"{Represented(Value)} is less than the minimum of {minimum}"))
        : number > maximum ? throw Invalid(string.Create(CultureInfo.InvariantCulture, $"{Represented(Value)} is greater than the maximum of {maximum}"))
        : number;

    private Fault NotOfType(string type) => Invalid($"{Represented(Value)} is not of type '{type}'");

    private static string Shown(JsonElement value) => value.ValueKind is JsonValueKind.String ? value.GetString()! : Represented(value);

    /// <summary>Python's <c>repr()</c> of a value.</summary>
    public static string Represented(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null => "None",
        JsonValueKind.True => "True",
        JsonValueKind.False => "False",
        JsonValueKind.String => Quoted(value.GetString()!),
        JsonValueKind.Array => $"[{string.Join(", ", value.EnumerateArray().Select(Represented))}]",
        JsonValueKind.Object => $"{{{string.Join(", ", value.EnumerateObject().Select(m => $"{Quoted(m.Name)}: {Represented(m.Value)}"))}}}",
        _ => value.GetRawText(),
    };

    /// <summary>Python's <c>repr()</c> of a text: single quotes unless only double quotes avoid escaping; what cannot be printed is escaped.</summary>
    public static string Quoted(string text)
    {
        var quote = text.Contains('\'', StringComparison.Ordinal) && !text.Contains('"', StringComparison.Ordinal) ? '"' : '\'';
        var result = new StringBuilder().Append(quote);
        foreach (var rune in text.EnumerateRunes())
        {
            result.Append(rune.Value switch
            {
                '\\' => "\\\\",
                '\n' => "\\n",
                '\r' => "\\r",
                '\t' => "\\t",
                var c when c == quote => $"\\{quote}",
                < 0x20 or 0x7F => $"\\x{rune.Value:x2}",
                _ => rune.ToString(),
            });
        }

        return result.Append(quote).ToString();
    }
}
