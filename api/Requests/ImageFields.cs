using SnapshotFlow.Model;

namespace SnapshotFlow.Api.Requests;

/// <summary>What is said about an image when one is asked for: the same whether Nova's action asks or <c>POST /runs</c>. The rules are the model's.</summary>
internal static class ImageFields
{
    public static string Name(JsonField field)
    {
        var name = field.Text();
        ImageNames.Require(name);
        return name;
    }

    public static IReadOnlyDictionary<string, string> Metadata(JsonField field)
    {
        var metadata = field.Members().ToDictionary(m => m.Key, m => m.Value.Text());
        ImageMetadataRules.Require(metadata);
        return metadata;
    }
}
