using System.Collections.Immutable;
using Temporalio.Api.Common.V1;

namespace SnapshotFlow.TemporalDev.Visibility;

/// <summary>The search attributes one namespace knows. Immutable; the registry replaces it as a whole.</summary>
/// <param name="Namespace">The namespace's name.</param>
/// <param name="Custom">What was registered.</param>
public sealed record NamespaceAttributes(string Namespace, ImmutableSortedDictionary<string, AttributeKind> Custom)
{
    /// <summary>Most keys of one run. Source: Temporal's limits limit.searchAttributes….</summary>
    private const int MaxCount = 100;
    private const int MaxValueBytes = 2 * 1024;
    private const int MaxTotalBytes = 40 * 1024;

    /// <summary>The kind of any attribute a filter may name, or null.</summary>
    public AttributeKind? KindOf(string name) =>
        SystemAttributes.Reserved.TryGetValue(name, out var reserved) ? reserved : SettableKindOf(name);

    /// <summary>
    /// Checks attributes that a caller sets and gives every payload the metadata <c>type</c> of its attribute. Payloads that have it are kept as they
    /// are. Removals are kept too: they mean something to an upsert.
    /// </summary>
    /// <exception cref="SearchAttributeException">One is not registered, cannot be set, is no value of its type, or they are too large.</exception>
    public SearchAttributes Check(SearchAttributes? attributes)
    {
        var result = new SearchAttributes();
        if (attributes is null)
        {
            return result;
        }

        if (attributes.IndexedFields.Count > MaxCount)
        {
            throw new SearchAttributeException($"number of search attributes {attributes.IndexedFields.Count} exceeds the limit of {MaxCount}");
        }

        foreach (var (name, payload) in attributes.IndexedFields)
        {
            result.IndexedFields[name] = Check(name, payload);
        }

        return result.CalculateSize() <= MaxTotalBytes
            ? result
            : throw new SearchAttributeException($"total size of search attributes {result.CalculateSize()} exceeds the limit of {MaxTotalBytes} bytes");
    }

    /// <summary>What a run has after an upsert of checked attributes: keys are replaced one by one, removals take theirs away. Returns a new message.</summary>
    public static SearchAttributes Merge(SearchAttributes? existing, SearchAttributes upsert)
    {
        var merged = new SearchAttributes();
        foreach (var (name, payload) in (existing?.IndexedFields ?? []).Concat(upsert.IndexedFields))
        {
            if (SearchAttributePayload.IsRemoval(payload))
            {
                merged.IndexedFields.Remove(name);
            }
            else
            {
                merged.IndexedFields[name] = payload;
            }
        }

        return merged;
    }

    private Payload Check(string name, Payload payload)
    {
        if (SystemAttributes.Reserved.ContainsKey(name))
        {
            throw new SearchAttributeException($"{name} attribute can't be set in SearchAttributes");
        }

        var kind = SettableKindOf(name)
            ?? throw new SearchAttributeException($"Namespace {Namespace} has no mapping defined for search attribute {name}");
        if (SearchAttributePayload.IsRemoval(payload))
        {
            return payload;
        }

        if (payload.Data.Length > MaxValueBytes)
        {
            throw new SearchAttributeException($"search attribute {name} value size {payload.Data.Length} exceeds the limit of {MaxValueBytes} bytes");
        }

        try
        {
            SearchAttributePayload.Decode(payload, kind);
        }
        catch (FormatException error)
        {
            throw new SearchAttributeException($"invalid value for search attribute {name} of type {AttributeKinds.TypeName(kind)}: {error.Message}");
        }

        return SearchAttributePayload.WithType(payload, kind);
    }

    private AttributeKind? SettableKindOf(string name) =>
        SystemAttributes.Predefined.TryGetValue(name, out var predefined) ? predefined
        : Custom.TryGetValue(name, out var custom) ? custom
        : null;
}
