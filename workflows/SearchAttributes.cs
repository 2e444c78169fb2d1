using SnapshotFlow.Model;
using Temporalio.Common;

namespace SnapshotFlow.Workflows;

/// <summary>The search attributes by which operators find runs. All are keywords; <c>temporal-dev.yaml</c> registers the same names.</summary>
public static class SearchAttributes
{
    /// <summary>The project of the caller.</summary>
    public static readonly SearchAttributeKey<string> ProjectId = SearchAttributeKey.CreateKeyword("ProjectId");

    /// <summary>The server.</summary>
    public static readonly SearchAttributeKey<string> ServerId = SearchAttributeKey.CreateKeyword("ServerId");

    /// <summary>The image.</summary>
    public static readonly SearchAttributeKey<string> ImageId = SearchAttributeKey.CreateKeyword("ImageId");

    /// <summary>The <see cref="Model.Step"/> the run is at or ended in.</summary>
    public static readonly SearchAttributeKey<string> Step = SearchAttributeKey.CreateKeyword("Step");

    /// <summary>The <see cref="Model.Consistency"/> of the image, lower case; unset until it is known.</summary>
    public static readonly SearchAttributeKey<string> Consistency = SearchAttributeKey.CreateKeyword("Consistency");

    /// <summary>The <see cref="RunStatus"/> in which the run ended; unset while it goes on. <c>compensation_failed</c> finds the runs that left something.</summary>
    public static readonly SearchAttributeKey<string> Result = SearchAttributeKey.CreateKeyword("Result");

    /// <summary>Every one, for registration.</summary>
    public static readonly IReadOnlyList<SearchAttributeKey<string>> All = [ProjectId, ServerId, ImageId, Step, Consistency, Result];

    /// <summary>What a run is started with.</summary>
    public static SearchAttributeCollection ForStart(Caller caller, ServerId server, ImageId image) =>
        new SearchAttributeCollection.Builder().Set(ProjectId, caller.ProjectId).Set(ServerId, server.ToString()).Set(ImageId, image.ToString()).ToSearchAttributeCollection();
}
