using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace SnapshotFlow.Stack;

/// <summary>A YAML file as the JSON that the API takes, which remembers the line of every key, so that a refusal leads back to it.</summary>
public sealed partial class ImportFile
{
    private readonly string path;
    private readonly Dictionary<string, long> lines = [];

    private ImportFile(string path) => this.path = path;

    /// <summary>The content.</summary>
    public JsonNode Content { get; private set; } = new JsonObject();

    /// <exception cref="StackException">It cannot be read or is no YAML; the message has path and line.</exception>
    public static ImportFile Load(string path)
    {
        var file = new ImportFile(path);
        try
        {
            var stream = new YamlStream();
            stream.Load(new StringReader(File.ReadAllText(path)));
            file.Content = stream.Documents switch
            {
                [{ RootNode: YamlMappingNode root }] => file.Convert(root, "")!,
                [] => new JsonObject(),
                [{ RootNode: var other }] => throw new StackException($"{path}:{other.Start.Line}: a mapping with the keys volume_types, volumes, servers, quotas is expected"),
                _ => throw new StackException($"{path}: it holds several documents, where one is expected"),
            };
            return file;
        }
        catch (YamlException e)
        {
            throw new StackException($"{path}:{e.Start.Line}: it is no YAML: {e.Message}", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new StackException($"{path}: {e.Message}", e);
        }
    }

    /// <summary>A refusal of the API with file, line and key: <c>cloud.yaml:12: volumes[1].size: …</c>.</summary>
    public string Locate(string message)
    {
        var match = Place().Match(message);
        if (!match.Success)
        {
            return $"{path}: {message}";
        }

        var key = match.Groups["key"].Value;
        var why = match.Groups["why"].Value;
        // A key that is missing has no line: the nearest that surrounds it has.
        for (var place = key; ; place = place[..Math.Max(place.LastIndexOf('.'), place.LastIndexOf('['))])
        {
            if (lines.TryGetValue(place, out var line))
            {
                return $"{path}:{line}: {key}: {why}";
            }

            if (!place.Contains('.', StringComparison.Ordinal) && !place.Contains('[', StringComparison.Ordinal))
            {
                return $"{path}:1: {key}: {why}";
            }
        }
    }

    private JsonNode? Convert(YamlNode node, string key)
    {
        lines[key] = node.Start.Line;
        switch (node)
        {
            case YamlMappingNode mapping:
                var result = new JsonObject();
                foreach (var (name, value) in mapping.Children)
                {
                    var text = name is YamlScalarNode { Value: { } known } ? known : throw new StackException($"{path}:{name.Start.Line}: a key is a text");
                    result[text] = Convert(value, key.Length == 0 ? text : $"{key}.{text}");
                    lines[key.Length == 0 ? text : $"{key}.{text}"] = name.Start.Line;
                }

                return result;
            case YamlSequenceNode sequence:
                return new JsonArray([.. sequence.Children.Select((item, i) => Convert(item, $"{key}[{i}]"))]);
            case YamlScalarNode { Style: ScalarStyle.Plain } scalar:
                return scalar.Value switch
                {
                    null or "" or "~" or "null" => null,
                    "true" => JsonValue.Create(true),
                    "false" => JsonValue.Create(false),
                    // An id that happens to have only digits is a text: only what reads back the same is a number.
                    var text when long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)
                        && number.ToString(CultureInfo.InvariantCulture) == text && text.Length < 16 => JsonValue.Create(number),
                    var text => JsonValue.Create(text),
                };
            default:
                return JsonValue.Create(((YamlScalarNode)node).Value);
        }
    }

    [GeneratedRegex(@"\A(?:Invalid input for field/attribute (?<key>\S+)\. (?<why>.*)|(?<key>(?:servers|volumes|volume_types|quotas)\[\d+\]\S*): (?<why>.*))\z", RegexOptions.CultureInvariant | RegexOptions.Singleline)]
    private static partial Regex Place();
}
