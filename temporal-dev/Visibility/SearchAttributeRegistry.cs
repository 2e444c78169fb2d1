using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Text.Json;

namespace SnapshotFlow.TemporalDev.Visibility;

/// <summary>Which custom search attributes each namespace has registered.</summary>
public sealed class SearchAttributeRegistry
{
    private readonly ConcurrentDictionary<string, NamespaceAttributes> namespaces = new(StringComparer.Ordinal);

    /// <summary>The attributes of a namespace; one that registered nothing has the predefined ones.</summary>
    public NamespaceAttributes Of(string @namespace) => namespaces.GetValueOrDefault(@namespace) ?? Empty(@namespace);

    /// <summary>Registers attributes, all or none, and returns what the namespace has then.</summary>
    /// <exception cref="ArgumentException">A name is taken; nothing was registered.</exception>
    public NamespaceAttributes Register(string @namespace, IEnumerable<KeyValuePair<string, AttributeKind>> added)
    {
        var all = added.ToList();
        return namespaces.AddOrUpdate(@namespace, name => Add(Empty(name), all), (_, known) => Add(known, all));
    }

    /// <summary>Forgets custom attributes, all or none, and returns what the namespace has then. Values that runs already have stay with them.</summary>
    /// <exception cref="KeyNotFoundException">A name is not registered; nothing was removed.</exception>
    public NamespaceAttributes Remove(string @namespace, IEnumerable<string> names)
    {
        var all = names.ToList();
        return namespaces.AddOrUpdate(@namespace, name => Without(Empty(name), all), (_, known) => Without(known, all));
    }

    public void RemoveNamespace(string @namespace) => namespaces.TryRemove(@namespace, out _);

    /// <summary>Takes in what <see cref="Serialise"/> wrote for a namespace.</summary>
    public void Load(string @namespace, byte[] stored)
    {
        var custom = JsonSerializer.Deserialize<Dictionary<string, AttributeKind>>(stored) ?? [];
        namespaces[@namespace] = new NamespaceAttributes(@namespace, custom.ToImmutableSortedDictionary(StringComparer.Ordinal));
    }

    public static byte[] Serialise(NamespaceAttributes attributes) => JsonSerializer.SerializeToUtf8Bytes(attributes.Custom);

    private static NamespaceAttributes Empty(string @namespace) =>
        new(@namespace, ImmutableSortedDictionary.Create<string, AttributeKind>(StringComparer.Ordinal));

    private static NamespaceAttributes Add(NamespaceAttributes known, List<KeyValuePair<string, AttributeKind>> added)
    {
        var taken = added.FirstOrDefault(attribute => known.KindOf(attribute.Key) is not null).Key;
        return taken is null
            ? known with { Custom = known.Custom.AddRange(added) }
            : throw new ArgumentException($"Search attribute {taken} already exists.");
    }

    private static NamespaceAttributes Without(NamespaceAttributes known, List<string> names)
    {
        var missing = names.Find(name => !known.Custom.ContainsKey(name));
        return missing is null
            ? known with { Custom = known.Custom.RemoveRange(names) }
            : throw new KeyNotFoundException($"Search attribute {missing} doesn't exist.");
    }
}
