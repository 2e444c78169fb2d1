using System.Net;
using System.Text;
using System.Text.Json;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Tests.Store;

namespace SnapshotFlow.Tests.Api;

/// <summary>How much an image may have beside its properties: 128 tags and 128 members, and none more. Source: Glance, defaults of <c>image_tag_quota</c> and <c>image_member_quota</c>.</summary>
public sealed class HavingTooMuch(ApiAlone alone) : IClassFixture<ApiAlone>
{
    private readonly ApiUnderTest api = alone.Api;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_hundred_and_twenty_ninth_tag_is_413_one_by_one_and_all_at_once()
    {
        var id = await ImageAsync();
        var tags = Enumerable.Range(0, 128).Select(i => $"t{i}").ToArray();
        Assert.Equal(HttpStatusCode.OK, (await TagAsync(id, tags)).Status);
        (await TagAsync(id, [.. tags, "one-more"])).IsImageFault(413, "Payload Too Large", "The limit has been exceeded on the number of allowed image tags. Attempted: 129, Maximum: 128");
        Assert.Equal(413, (int)(await api.SendAsync(HttpMethod.Put, $"/image/v2/images/{id}/tags/one-more", api.Tokens.Member, null)).Status);
        Assert.Equal(HttpStatusCode.NoContent, (await api.SendAsync(HttpMethod.Put, $"/image/v2/images/{id}/tags/t0", api.Tokens.Member, null)).Status);
        Assert.Equal(128, (await api.GetAsync($"/image/v2/images/{id}", api.Tokens.Reader)).Json.GetProperty("tags").GetArrayLength());
    }

    [Fact]
    public async Task A_hundred_and_twenty_ninth_member_is_413()
    {
        var id = await ImageAsync();
        await api.Service<Database>().WriteAsync(
            async s =>
            {
                for (var i = 0; i < 128; i++)
                {
                    await api.Service<ImageStore>().AddMemberAsync(s, id, $"member-{i}", Given.Now);
                }
            },
            Ct);
        Assert.Equal(413, (int)(await api.PostAsync($"/image/v2/images/{id}/members", api.Tokens.Member, new { member = "one-more" })).Status);
        Assert.Equal(HttpStatusCode.NoContent, (await api.DeleteAsync($"/image/v2/images/{id}/members/member-0", api.Tokens.Member)).Status);
        Assert.Equal(HttpStatusCode.OK, (await api.PostAsync($"/image/v2/images/{id}/members", api.Tokens.Member, new { member = "one-more" })).Status);
    }

    private Task<Answer> TagAsync(ImageId id, string[] tags) => api.SendAsync(
        HttpMethod.Patch, $"/image/v2/images/{id}", api.Tokens.Member,
        new StringContent(JsonSerializer.Serialize(new[] { new { op = "replace", path = "/tags", value = tags } }), Encoding.UTF8, "application/openstack-images-v2.1-json-patch"));

    private async Task<ImageId> ImageAsync()
    {
        var id = ImageId.New();
        await api.Service<Database>().WriteAsync(
            async s =>
            {
                await api.Service<ImageStore>().AddQueuedAsync(s, id, Given.Draft(api.Tokens.Project) with { Visibility = "shared" }, Given.Now);
                await api.Service<ImageStore>().ActivateAsync(s, id, new Dictionary<string, string>(), null, Given.Now);
            },
            Ct);
        return id;
    }
}
