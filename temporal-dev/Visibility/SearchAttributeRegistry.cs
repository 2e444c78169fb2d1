using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Text.Json;
using SnapshotFlow.TemporalDev.Store;

namespace SnapshotFlow.TemporalDev.Visibility;

/// <summary>Which custom search attributes each namespace has registered.</summary>
internal sealed class SearchAttributeRegistry(CommitQueue commits)
{
    private const string BlobKind = "search-attributes";

    private readonly ConcurrentDictionary<string, NamespaceAttributes> namespaces = new(StringComparer.Ordinal);
    private readonly Lock gate = new();

    public static bool Owns(BlobChange blob) => blob.Kind == BlobKind;

    /// <summary>The attributes of a namespace; one that registered nothing has the predefined ones.</summary>
    public NamespaceAttributes Of(string @namespace) =>
        namespaces.GetValueOrDefault(@namespace) ?? new(@namespace, ImmutableSortedDictionary.Create<string, AttributeKind>(StringComparer.Ordinal));

    /// <summary>Registers attributes, all or none; answers when they are durable.</summary>
    /// <exception cref="ArgumentException">A name is taken; nothing was registered.</exception>
    public Task RegisterAsync(string @namespace, IEnumerable<KeyValuePair<string, AttributeKind>> added) =>
        ChangeAsync(@namespace, known => Add(known, [.. added]));

    /// <summary>Forgets custom attributes, all or none. Values that runs already have stay with them.</summary>
    /// <exception cref="KeyNotFoundException">A name is not registered; nothing was removed.</exception>
    public Task RemoveAsync(string @namespace, IEnumerable<string> names) => ChangeAsync(@namespace, known => Without(known, [.. names]));

    public Task RemoveNamespaceAsync(string @namespace)
    {
        lock (gate)
        {
            return namespaces.TryRemove(@namespace, out _) ? SaveAsync(@namespace, null) : Task.CompletedTask;
        }
    }

    public void Load(BlobChange stored)
    {
        var custom = JsonSerializer.Deserialize<Dictionary<string, AttributeKind>>(stored.Value) ?? [];
        namespaces[stored.Key] = new NamespaceAttributes(stored.Key, custom.ToImmutableSortedDictionary(StringComparer.Ordinal));
    }

    private Task ChangeAsync(string @namespace, Func<NamespaceAttributes, NamespaceAttributes> change)
    {
        // Under one lock, so that the store gets the changes in the order in which they were made.
        lock (gate)
        {
            var changed = change(Of(@namespace));
            namespaces[@namespace] = changed;
            return SaveAsync(@namespace, JsonSerializer.SerializeToUtf8Bytes(changed.Custom));
        }
    }

    private Task SaveAsync(string @namespace, byte[]? value) => commits.IsDurable
        ? commits.Enqueue(Transition.OfBlob(new BlobChange(BlobKind, @namespace, value)))
        : Task.CompletedTask;

    private static NamespaceAttributes Add(NamespaceAttributes known, List<KeyValuePair<string, AttributeKind>> added)
    {
        var taken = added.Find(attribute => known.KindOf(attribute.Key) is not null).Key;
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
