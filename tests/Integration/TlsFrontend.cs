using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace SnapshotFlow.Tests.Integration;

/// <summary>
/// What stands in front of a Temporal that is not on this machine: TLS with a certificate of an authority that nobody knows, a demand for the client's certificate and
/// for an API key. Passes on what may pass.
/// </summary>
internal sealed class TlsFrontend : IAsyncDisposable
{
    private const string Unauthenticated = "16"; // Source: gRPC, status codes.

    private readonly WebApplication app;
    private readonly HttpMessageInvoker temporal = new(new SocketsHttpHandler { EnableMultipleHttp2Connections = true });

    private TlsFrontend(WebApplication app) => this.app = app;

    /// <summary>host:port, as the certificate names it.</summary>
    public string Address { get; private set; } = "";

    /// <param name="to">host:port of the Temporal behind it.</param>
    /// <param name="apiKey">The key that lets in.</param>
    /// <param name="directory">Where the files go: <c>ca.pem</c>, <c>client.pem</c>, <c>client.key</c>.</param>
    public static async Task<TlsFrontend> StartAsync(string to, string apiKey, string directory)
    {
        var (server, client) = await CertificatesAsync(directory);
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen =>
        {
            listen.Protocols = HttpProtocols.Http2;
            listen.UseHttps(server, https =>
            {
                https.ClientCertificateMode = ClientCertificateMode.RequireCertificate;
                https.ClientCertificateValidation = (shown, _, _) => shown.Thumbprint == client;
            });
        }));
        var frontend = new TlsFrontend(builder.Build());
        frontend.app.Run(context => context.Request.Headers.Authorization == $"Bearer {apiKey}" ? frontend.PassOnAsync(context, to) : RefuseAsync(context));
        await frontend.app.StartAsync();
        var address = frontend.app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();
        frontend.Address = $"localhost:{new Uri(address).Port}";
        return frontend;
    }

    public async ValueTask DisposeAsync()
    {
        await app.DisposeAsync();
        temporal.Dispose();
    }

    private static Task RefuseAsync(HttpContext context)
    {
        context.Response.ContentType = "application/grpc";
        context.Response.Headers["grpc-status"] = Unauthenticated;
        context.Response.Headers["grpc-message"] = "the API key lets nobody in";
        return Task.CompletedTask;
    }

    private async Task PassOnAsync(HttpContext context, string to)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"http://{to}{context.Request.Path}")
        {
            Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact, Content = new StreamContent(context.Request.Body),
        };
        foreach (var (name, values) in context.Request.Headers.Where(h => !h.Key.StartsWith(':') && h.Key is not "Host"))
        {
            if (!request.Headers.TryAddWithoutValidation(name, values.ToArray()))
            {
                request.Content.Headers.TryAddWithoutValidation(name, values.ToArray());
            }
        }

        try
        {
            using var response = await temporal.SendAsync(request, context.RequestAborted);
            foreach (var (name, values) in response.Headers.Concat(response.Content.Headers))
            {
                context.Response.Headers[name] = values.ToArray();
            }

            await response.Content.CopyToAsync(context.Response.Body, context.RequestAborted);
            foreach (var (name, values) in response.TrailingHeaders)
            {
                context.Response.AppendTrailer(name, values.ToArray());
            }
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // Whoever asked has gone.
        }
    }

    /// <summary>An authority, what the server shows, and the thumbprint of what the client must show.</summary>
    private static async Task<(X509Certificate2 Server, string Client)> CertificatesAsync(string directory)
    {
        var (from, until) = (TimeProvider.System.GetUtcNow().AddHours(-1), TimeProvider.System.GetUtcNow().AddHours(6));
        using var authorityKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var authority = new CertificateRequest("CN=an authority of this test", authorityKey, HashAlgorithmName.SHA256);
        authority.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        authority.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, true));
        using var root = authority.CreateSelfSigned(from, until);
        await File.WriteAllTextAsync(Path.Combine(directory, "ca.pem"), root.ExportCertificatePem());

        X509Certificate2 Issue(string name, string usage, byte serial)
        {
            using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
            request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, true));
            request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new(usage)], false));
            var names = new SubjectAlternativeNameBuilder();
            names.AddDnsName(name);
            request.CertificateExtensions.Add(names.Build());
            using var issued = request.Create(root, from, until, [serial]);
            return issued.CopyWithPrivateKey(key);
        }

        // Source of the usages: RFC 5280, 4.2.1.12, server and client authentication.
        using var client = Issue("worker", "1.3.6.1.5.5.7.3.2", 2);
        await File.WriteAllTextAsync(Path.Combine(directory, "client.pem"), client.ExportCertificatePem());
        await File.WriteAllTextAsync(Path.Combine(directory, "client.key"), client.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem());
        return (Issue("localhost", "1.3.6.1.5.5.7.3.1", 1), client.Thumbprint);
    }
}
