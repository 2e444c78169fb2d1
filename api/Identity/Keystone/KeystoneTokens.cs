using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Options;

namespace SnapshotFlow.Api.Identity.Keystone;

/// <summary>Keystone's word on tokens, believed for a while: also that a token means nothing. Remembers digests, never tokens.</summary>
internal sealed class KeystoneTokens(KeystoneClient keystone, IOptions<IdentityOptions> options, TimeProvider time) : ITokenVerifier, IDisposable
{
    private const int MostRemembered = 20_000;

    private readonly KeystoneOptions settings = options.Value.Keystone;
    private readonly MemoryCache answers = new(new MemoryCacheOptions { SizeLimit = MostRemembered });

    public string AuthUri(HttpContext context) => (settings.PublicUrl ?? settings.Url!).ToString().TrimEnd('/');

    public async Task<VerifiedToken?> VerifyAsync(string token, bool acceptExpired, CancellationToken ct)
    {
        var key = Key(token, acceptExpired);
        if (!answers.TryGetValue(key, out Answer? answer) || answer!.BelievedUntil <= time.GetUtcNow())
        {
            answer = new(await keystone.ShowAsync(token, acceptExpired, ct), time.GetUtcNow() + settings.CacheTime);
            if (settings.CacheTime > TimeSpan.Zero)
            {
                answers.Set(key, answer, new MemoryCacheEntryOptions { Size = 1, AbsoluteExpirationRelativeToNow = settings.CacheTime });
            }
        }

        return answer.Token is { } good && (acceptExpired || good.ExpiresAt > time.GetUtcNow()) ? good : null;
    }

    /// <summary>Asks again about a token that has been revoked here.</summary>
    public void Forget(string token)
    {
        answers.Remove(Key(token, acceptExpired: false));
        answers.Remove(Key(token, acceptExpired: true));
    }

    private static (string Digest, bool AcceptExpired) Key(string token, bool acceptExpired) => (Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(token))), acceptExpired);

    public void Dispose() => answers.Dispose();

    private sealed record Answer(VerifiedToken? Token, DateTimeOffset BelievedUntil);
}
