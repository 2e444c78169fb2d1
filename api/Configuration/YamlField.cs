using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace SnapshotFlow.Api.Configuration;

/// <summary>A place in a YAML file that knows its line and its key, so that what is wrong with it can be found: <c>line 7: users[1].password: …</c>.</summary>
internal readonly record struct YamlField(string Key, YamlNode Node)
{
    private const long MaxBytes = 4 * 1024 * 1024;

    /// <summary>The one document of a file.</summary>
    /// <exception cref="FormatException">It is missing, unreadable, too large or no YAML; the message begins with the path and has the line.</exception>
    public static T ReadFile<T>(string path, Func<YamlField, T> read)
    {
        try
        {
            return new FileInfo(path) is { Exists: true, Length: > MaxBytes }
                ? throw new FormatException($"it is larger than {MaxBytes / (1024 * 1024)} MiB")
                : read(Parse(File.ReadAllText(path)));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException)
        {
            throw new FormatException($"{path}: {e.Message}", e);
        }
    }

    /// <summary>The one document of a text.</summary>
    /// <exception cref="FormatException">It is no YAML; the message has the line.</exception>
    public static YamlField Parse(string yaml)
    {
        try
        {
            var stream = new YamlStream();
            stream.Load(new StringReader(yaml));
            return stream.Documents switch
            {
                [] => new("", new YamlScalarNode("")),
                [var one] => new("", one.RootNode),
                _ => throw new FormatException("it holds several documents, where one is expected"),
            };
        }
        catch (YamlException e)
        {
            throw new FormatException($"line {e.Start.Line}: it is no YAML: {e.Message}");
        }
    }

    /// <summary>The node has no content: an empty file, or a key without a value.</summary>
    public bool IsEmpty => Node is YamlScalarNode { Value: null or "", Style: ScalarStyle.Plain or ScalarStyle.Any };

    /// <summary>What is wrong here.</summary>
    public FormatException Wrong(string why) => new($"line {Node.Start.Line}: {(Key.Length == 0 ? "" : $"{Key}: ")}{why}");

    /// <summary>The members of a mapping that has all of <paramref name="required"/> and nothing beyond them and <paramref name="optional"/>.</summary>
    public IReadOnlyDictionary<string, YamlField> Members(string[] required, string[] optional)
    {
        var members = Members();
        foreach (var (name, field) in members)
        {
            if (!required.Contains(name) && !optional.Contains(name))
            {
                throw field.Wrong($"there is no such key; known are {string.Join(", ", required.Concat(optional))}");
            }
        }

        foreach (var name in required)
        {
            if (!members.ContainsKey(name))
            {
                throw Wrong($"'{name}' is missing");
            }
        }

        return members;
    }

    /// <summary>The members of a mapping, whatever they are called.</summary>
    public IReadOnlyDictionary<string, YamlField> Members()
    {
        if (Node is not YamlMappingNode mapping)
        {
            throw Wrong("a mapping (key: value) is expected");
        }

        var members = new Dictionary<string, YamlField>(StringComparer.Ordinal);
        foreach (var (key, value) in mapping.Children)
        {
            var name = key is YamlScalarNode { Value: { } text } ? text : throw new YamlField(Key, key).Wrong("a key is a text");
            members.Add(name, new(Key.Length == 0 ? name : $"{Key}.{name}", value));
        }

        return members;
    }

    /// <summary>The items of a sequence.</summary>
    public IReadOnlyList<YamlField> Items()
    {
        var key = Key;
        return Node is YamlSequenceNode sequence ? [.. sequence.Children.Select((item, i) => new YamlField($"{key}[{i}]", item))] : throw Wrong("a list is expected");
    }

    /// <summary>A text, which may be empty only when it is quoted.</summary>
    public string Text() => Node is YamlScalarNode scalar && !IsEmpty ? scalar.Value! : throw Wrong("a text is expected");

    /// <summary>A text with something in it.</summary>
    public string Name() => Text() is var text && !string.IsNullOrWhiteSpace(text) ? text : throw Wrong("it is empty");

    /// <summary>True or false.</summary>
    public bool Boolean() => Text() switch
    {
        "true" => true,
        "false" => false,
        _ => throw Wrong("true or false is expected"),
    };
}
